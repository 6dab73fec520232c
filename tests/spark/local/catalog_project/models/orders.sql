{{ config(materialized='table', tags=['deploy'], tblproperties={'delta.enableChangeDataFeed': 'true'}, databricks_tags={'owner': 'sales team', 'pii': 'no'}) }}
select id, coalesce(customer, 'nobody') as customer, amount from {{ ref('stg_orders') }}
