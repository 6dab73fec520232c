{{ config(materialized='table', contract={'enforced': true}, tags=['deploy']) }}
select cast(min(id) as bigint) as customer_id, customer, cast(sum(amount) as decimal(20, 2)) as total from {{ ref('orders') }} group by customer
