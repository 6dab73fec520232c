{{ config(tags=['heavy']) }}

-- Heavy in real life (every event of every visitor), so staging skips it; it is a leaf, so nothing misses it there.
-- It reads the source itself: sources are not deferred, so prod's sessions are made of prod's events.
with events as (
  select
    customer_id,
    event_id,
    occurred_at,
    lag(occurred_at) over (partition by customer_id order by occurred_at, event_id) as previous_at
  from {{ source('landing', 'web_events') }}
  where customer_id is not null
),

numbered as (
  select
    customer_id,
    occurred_at,
    sum(case when previous_at is null or occurred_at > previous_at + interval 8 hours then 1 else 0 end)
      over (partition by customer_id order by occurred_at, event_id) as session_number
  from events
)

select
  numbered.customer_id,
  customers.country_code,
  numbered.session_number,
  count(*) as event_count,
  min(numbered.occurred_at) as started_at,
  max(numbered.occurred_at) as ended_at
from numbered
inner join {{ ref('customers') }} as customers
  on numbered.customer_id = customers.customer_id
group by numbered.customer_id, customers.country_code, numbered.session_number
