{{ config(materialized='incremental', unique_key='id', incremental_strategy='merge', on_schema_change='append_new_columns', tags=['deploy']) }}
select id, amount{% if is_incremental() %} + 1{% endif %} as amount{% if var('more', false) %}, customer{% endif %} from {{ ref('orders') }}
