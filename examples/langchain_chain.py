"""A LangChain chain, a tool call and a typed answer. Needs: pip install langchain-openai."""

import os

from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI
from pydantic import BaseModel


class Verdict(BaseModel):
    """What is thought of a text."""

    mood: str
    sure: bool


model = ChatOpenAI(
    model="auto",
    base_url=os.environ.get("PARETOGATE_URL", "http://localhost:8080/v1"),
    api_key=os.environ.get("PARETOGATE_API_KEY", "none"),
    extra_body={"routing": {"tags": {"app": "example"}}},
)

chain = ChatPromptTemplate.from_template("Translate into French: {text}") | model
print("answer:", chain.invoke({"text": "Good morning"}).text)
print("stream:", "".join(chunk.text for chunk in chain.stream({"text": "Good night"})))
print("typed:", model.with_structured_output(Verdict).invoke("What is the mood of: I love it!"))
