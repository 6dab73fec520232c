select
  region,
  count(*) as customer_count,
  count_if(active) as active_count,
  sum(order_count) as order_count,
  cast(sum(lifetime_amount) as decimal(16, 2)) as lifetime_amount
from {{ ref('customers') }}
group by region
