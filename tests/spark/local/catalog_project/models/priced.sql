select id, {{ function('with_tip') }}(cast(amount as double)) as price from {{ ref('stg_orders') }}
