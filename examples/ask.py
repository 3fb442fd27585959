"""The OpenAI SDK with another base_url. Needs: pip install openai."""

import os

from openai import OpenAI

client = OpenAI(
    base_url=os.environ.get("PARETOGATE_URL", "http://localhost:8080/v1"),
    api_key=os.environ.get("PARETOGATE_API_KEY", "none"),
)

raw = client.chat.completions.with_raw_response.create(
    model="auto",
    messages=[{"role": "user", "content": "What is 7 plus 5?"}],
    extra_body={"routing": {"min_quality": 0.5, "explain": True}},  # optional, for this query alone
)
print(raw.headers["x-paretogate-model"], "answered for", raw.headers["x-paretogate-cost-usd"], "USD:")
print(raw.parse().choices[0].message.content)

with client.chat.completions.stream(model="auto", messages=[{"role": "user", "content": "Count to three."}]) as events:
    for event in events:
        if event.type == "content.delta":
            print(event.delta, end="", flush=True)
print()
