{{ config(materialized='incremental', incremental_strategy='replace_where', incremental_predicates="id >= 3") }}
select id, amount from {{ ref('stg_orders') }}
{% if is_incremental() %} where id >= 3 {% endif %}
