#!/bin/sh
# Asks whole, then streamed. Needs curl.
set -eu
url=${PARETOGATE_URL:-http://localhost:8080/v1}
key=${PARETOGATE_API_KEY:-none}

ask() {
  curl --silent --show-error --fail-with-body "$url/chat/completions" \
    -H "authorization: Bearer $key" -H 'content-type: application/json' "$@"
}

# -D - prints the headers too: x-paretogate-model says who answered, x-paretogate-cost-usd what it cost
ask -D - -d '{"model": "auto", "messages": [{"role": "user", "content": "What is 7 plus 5?"}]}'
echo
# at least 0.6 expected for this one query, and no more than 0.01 USD
ask -N -d '{"model": "auto", "stream": true, "messages": [{"role": "user", "content": "Count to three."}],
            "routing": {"min_quality": 0.6, "max_cost_usd": 0.01}}'
