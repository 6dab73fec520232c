{{ config(materialized='incremental', incremental_strategy='append', liquid_clustered_by='id') }}
select id, amount from {{ ref('stg_orders') }}
