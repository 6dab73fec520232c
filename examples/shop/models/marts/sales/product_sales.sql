select
  products.product_id,
  products.sku,
  products.product_name,
  products.category,
  count(distinct orders.order_id) as order_count,
  coalesce(sum(case when orders.order_id is not null then lines.quantity end), 0) as units_sold,
  cast(
    coalesce(sum(case when orders.order_id is not null then lines.line_amount end), 0) as decimal(14, 2)
  ) as gross_sales
from {{ ref('stg_products') }} as products
left join {{ ref('stg_order_lines') }} as lines
  on products.product_id = lines.product_id
left join {{ ref('orders') }} as orders
  on lines.order_id = orders.order_id and orders.status not in ('returned', 'cancelled')
group by products.product_id, products.sku, products.product_name, products.category
