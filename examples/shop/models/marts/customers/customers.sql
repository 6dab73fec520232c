with orders as (
  select
    customer_id,
    count(*) as order_count,
    sum(case when status in ('returned', 'cancelled') then 0 else amount end) as lifetime_amount,
    max(ordered_at) as last_ordered_at
  from {{ ref('orders') }}
  group by customer_id
),

visits as (
  select
    customer_id,
    max(occurred_at) as last_visited_at
  from {{ ref('stg_web_events') }}
  where customer_id is not null
  group by customer_id
)

select
  customers.customer_id,
  customers.full_name,
  customers.email,
  customers.country_code,
  customers.region,
  customers.marketing_opt_in,
  customers.signed_up_at,
  coalesce(orders.order_count, 0) as order_count,
  cast(coalesce(orders.lifetime_amount, 0) as decimal(14, 2)) as lifetime_amount,
  orders.last_ordered_at,
  coalesce(
    greatest(orders.last_ordered_at, visits.last_visited_at) >= timestamp'{{ var("active_since") }}', false
  ) as active
from {{ ref('stg_customers') }} as customers
left join orders
  on customers.customer_id = orders.customer_id
left join visits
  on customers.customer_id = visits.customer_id
