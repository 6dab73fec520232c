{{
  config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key='order_id',
    on_schema_change='append_new_columns'
  )
}}

select
  orders.order_id,
  orders.customer_id,
  customers.country_code,
  orders.status,
  orders.note,
  totals.line_count,
  totals.units,
  totals.gross_amount,
  totals.discount_amount,
  totals.gross_amount - totals.discount_amount as amount,
  orders.ordered_at,
  orders.updated_at
from {{ ref('stg_orders') }} as orders
inner join {{ ref('int_order_totals') }} as totals
  on orders.order_id = totals.order_id
inner join {{ ref('stg_customers') }} as customers
  on orders.customer_id = customers.customer_id
{% if is_incremental() %}
-- Three days back: an order that is updated late comes again and is merged.
where orders.updated_at >= (select max(updated_at) - interval 3 days from {{ this }})
{% endif %}
