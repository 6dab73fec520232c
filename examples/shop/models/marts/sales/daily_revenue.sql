select
  concat_ws('/', cast(cast(ordered_at as date) as string), country_code) as daily_revenue_id,
  cast(ordered_at as date) as order_date,
  country_code,
  count(*) as order_count,
  count_if(status = 'returned') as returned_count,
  -- A returned order was paid and paid back, a cancelled one never paid: neither is revenue.
  cast(sum(case when status in ('returned', 'cancelled') then 0 else amount end) as decimal(14, 2)) as revenue
from {{ ref('orders') }}
group by cast(ordered_at as date), country_code
