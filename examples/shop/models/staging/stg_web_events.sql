select
  event_id,
  customer_id,
  event_type,
  page,
  occurred_at
from {{ source('landing', 'web_events') }}
