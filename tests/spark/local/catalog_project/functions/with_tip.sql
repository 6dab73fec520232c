{{ function('with_tax') }}(amount) + 1
