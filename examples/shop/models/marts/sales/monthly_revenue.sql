{{ config(materialized='view') }}

-- A view over a deployed mart only: in prod it reads prod.
select
  cast(date_trunc('month', order_date) as date) as order_month,
  country_code,
  sum(order_count) as order_count,
  sum(revenue) as revenue
from {{ ref('daily_revenue') }}
group by date_trunc('month', order_date), country_code
