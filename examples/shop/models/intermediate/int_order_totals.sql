with lines as (
  select
    order_id,
    count(*) as line_count,
    sum(quantity) as units,
    sum(line_amount) as gross_amount
  from {{ ref('stg_order_lines') }}
  group by order_id
)

select
  orders.order_id,
  coalesce(lines.line_count, 0) as line_count,
  coalesce(lines.units, 0) as units,
  cast(coalesce(lines.gross_amount, 0) as decimal(12, 2)) as gross_amount,
  cast(round(coalesce(lines.gross_amount, 0) * orders.discount_pct / 100, 2) as decimal(12, 2)) as discount_amount
from {{ ref('stg_orders') }} as orders
left join lines
  on orders.order_id = lines.order_id
