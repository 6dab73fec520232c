select
  product_id,
  sku,
  product_name,
  category,
  unit_price,
  weight_grams
from {{ ref('raw_products') }}
