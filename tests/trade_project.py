"""A dbt project as teams have them: sources in three catalogs, macros that build names of databases, a snapshot."""

from __future__ import annotations

import textwrap
from pathlib import Path

from git_repositories import commit, fill, git

FILES = {
    "dbt_project.yml": """
        name: trade
        version: "1.0.0"
        profile: trade
        vars: {landing: Landing}
        models:
          trade:
            marts:
              +database: marts
              +materialized: table
              +tags: ["deploy"]
              +grants: {select: [trade-readers, dev@example.org]}
        seeds:
          trade: {+database: reference}
        """,
    "profiles.yml": """
        trade:
          target: stg
          outputs:
            stg: &output
              type: databricks
              host: trade.cloud.databricks.com
              http_path: /sql/1.0/warehouses/0123456789abcdef
              token: "{{ env_var('TRADE_TOKEN', 'none') }}"
              catalog: trade_qa
              schema: core
              threads: 2
            prod:
              <<: *output
              catalog: trade
        """,
    "macros/names.sql": """
        {% macro generate_database_name(custom_database_name=none, node=none) -%}
          {%- if custom_database_name is none -%}{{ target.database }}
          {%- else -%}{{ custom_database_name | trim }}_{{ 'qa' if target.name == 'stg' else 'live' }}
          {%- endif -%}
        {%- endmacro %}
        """,
    "models/sources.yml": """
        sources:
          - name: erp
            database: "{{ var('landing') }}"
            tables:
              - name: orders
                columns:
                  - {name: order_id, data_type: bigint, data_tests: [unique, not_null]}
                  - {name: customer, data_type: string}
                  - {name: amount, data_type: "decimal(12,2)"}
                  - {name: placed_at, data_type: timestamp}
              - name: returns
                columns:
                  - {name: order_id, data_type: bigint}
                  - {name: reason}
          - name: crm
            database: "partners{{ '_qa' if target.name == 'stg' else '' }}"
            schema: people
            tables:
              - name: customers
                identifier: customer_v2
                columns:
                  - {name: customer, data_type: string, config: {tags: [pii]}}
                  - {name: country, data_type: string}
                  - {name: address, data_type: "struct<city: string, zip: string>"}
          - name: own
            database: "{{ target.database }}"
            schema: core
            tables:
              - name: orders
          - name: web
            database: clicks
            schema: raw
            tables:
              - name: visits
        """,
    "models/staging/orders.sql": """
        select o.*, r.reason is not null as returned
        from {{ source('erp', 'orders') }} as o left join {{ source('erp', 'returns') }} as r using (order_id)
        """,
    "models/marts/sales.sql": """
        select c.country, c.address.city as city, n.region, sum(o.amount) as amount
        from {{ ref('orders') }} as o
        join {{ source('crm', 'customers') }} as c using (customer)
        left join {{ ref('countries') }} as n using (country)
        group by all
        """,
    "models/marts/traffic.sql": "select page, count(*) as visits from {{ source('web', 'visits') }} group by page",
    "models/models.yml": """
        models:
          - name: sales
            columns: [{name: country, data_tests: [not_null]}]
          - name: traffic
            columns: [{name: page, data_tests: [unique]}]
        """,
    "seeds/countries.csv": "country,region\nDE,Europe\nJP,Asia\n",
    "snapshots/history.yml": """
        snapshots:
          - name: customer_history
            relation: source('crm', 'customers')
            config: {unique_key: customer, strategy: check, check_cols: [country], database: archive}
        """,
    ".gitignore": "target/\nlogs/\n",
}
FUNCTION = {
    "functions/gross.sql": "amount * 1.19",
    "functions/functions.yml": """
        functions:
          - name: gross
            arguments: [{name: amount, data_type: "decimal(12,2)"}]
            returns: {data_type: double}
        """,
    "models/marts/taxed.sql": """
        select order_id, {{ function('gross') }}(amount) as gross from {{ source('erp', 'orders') }}
        """,
}
SOURCES = {
    "erp.orders.csv": "order_id,customer,amount,placed_at\n1,Ärzte,10.50,2026-01-02 03:04:05\n2,Bo,0.25,\n3,Ärzte,7,\n",
    "landing.erp.returns.json": '{"order_id": 2, "reason": "broken"}\n',
    "crm.customers.json": '[{"customer": "Ärzte", "country": "DE", "address": {"city": "Köln", "zip": "01"}},\n'
    ' {"customer": "Bo", "country": "JP", "address": null}]\n',
    "web.visits.csv": "page,at\n/,2026-01-01\n/,2026-01-02\n/about,2026-01-02\n",
}


def trade(folder: Path, *, functions: bool = False) -> str:
    """Make the project in a repository of its own; returns the SHA of its commit."""
    files = {
        name: textwrap.dedent(text).strip("\n") + "\n"
        for name, text in (FILES | (FUNCTION if functions else {})).items()
    }
    commit(fill(folder, files))
    return git(folder, "rev-parse", "HEAD")
