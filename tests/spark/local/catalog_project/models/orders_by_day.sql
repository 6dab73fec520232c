{{ config(materialized='incremental', incremental_strategy='insert_overwrite', partition_by='day') }}
select id, amount, to_date(ordered_at) as day from {{ ref('stg_orders') }}
{% if is_incremental() %} where to_date(ordered_at) = date'2026-01-03' {% endif %}
