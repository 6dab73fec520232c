select
  raw_customers.customer_id,
  raw_customers.full_name,
  raw_customers.email,
  raw_customers.country_code,
  raw_countries.country_name,
  raw_countries.region,
  coalesce(raw_customers.marketing_opt_in, false) as marketing_opt_in,
  raw_customers.signed_up_at,
  raw_customers.updated_at
from {{ ref('raw_customers') }} as raw_customers
left join {{ ref('raw_countries') }} as raw_countries
  on raw_customers.country_code = raw_countries.country_code
