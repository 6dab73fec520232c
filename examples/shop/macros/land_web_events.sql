{#-
  Stand-in for the ingestion job that, in a real shop, writes `<catalog>.landing.web_events`. dbt only reads that table,
  as a source, and sources are never deferred: each environment has its own.

  The rows are the same each time and lie in the past; only `loaded_at` is the time of the run, so that
  `dbt source freshness` has something true to say. Hooks also run for `dbt test`, `docs generate` and
  `source freshness`: those must not write, hence the guard.
-#}
{% macro lands_data() -%}
  {{ return(flags.WHICH in ['build', 'run']) }}
{%- endmacro %}

{% macro create_landing_schema() -%}
  {% if lands_data() %}create schema if not exists `{{ target.database }}`.landing{% endif %}
{%- endmacro %}

{% macro land_web_events() -%}
  {% if lands_data() -%}
  create or replace table `{{ target.database }}`.landing.web_events as
  select
    id as event_id,
    -- Three events a visit; some visitors are not signed in.
    case when id % 30 > 2 then 1 + (id div 3 * 7919) % 240 end as customer_id,
    element_at(array('page_view', 'search', 'add_to_basket', 'checkout'), cast(1 + (id * 31) % 4 as int)) as event_type,
    case when id % 4 = 0 then concat('/search?q=café+d\'été&n=', cast(id as string)) else '/' end as page,
    timestamp'2025-09-01 00:00:00' + make_dt_interval(0, 0, cast(id * 140 as int), 0) as occurred_at,
    current_timestamp() as loaded_at
  from range(1, 1201)
  {%- endif %}
{%- endmacro %}
