select
  order_id,
  customer_id,
  status,
  coalesce(discount_pct, 0) as discount_pct,
  note,
  ordered_at,
  updated_at
from {{ ref('raw_orders') }}
