"""What others call a provider, and what the price table does."""

# All that are not here are tried as they are.
_NAMES = {
    # OpenTelemetry
    "aws.bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "az.ai.inference": "azure",
    "az.ai.openai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "x_ai": "x-ai",
    # LangChain and LiteLLM
    "amazon_bedrock": "aws",
    "aws_bedrock": "aws",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "azure_ai": "azure",
    "azure_openai": "azure",
    "gemini": "google",
    "google_genai": "google",
    "google_vertexai": "google",
    "vertex_ai": "google",
    "vertex_ai_beta": "google",
    "mistralai": "mistral",
    "fireworks_ai": "fireworks",
    "together_ai": "together",
    "xai": "x-ai",
}


def table_name(name: str) -> str:
    """Return the price table's name of a provider.

    The AI SDK of TypeScript says which API of it, too: openai.responses, anthropic.messages.
    """
    known = name.lower().strip()
    first = known.partition(".")[0]
    return _NAMES.get(known) or _NAMES.get(first) or first
