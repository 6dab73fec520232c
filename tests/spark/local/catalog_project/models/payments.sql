{{ config(materialized='incremental', contract={'enforced': true}, unique_key='payment_id', on_schema_change='fail') }}
select id as payment_id, id as customer_id, amount from {{ ref('orders') }} where id in (select customer_id from {{ ref('customers') }})
