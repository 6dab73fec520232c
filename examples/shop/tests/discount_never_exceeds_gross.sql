select order_id, gross_amount, discount_amount
from {{ ref('orders') }}
where discount_amount > gross_amount
