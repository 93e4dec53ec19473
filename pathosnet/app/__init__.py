"""A page in the browser that answers: needs Gradio (extra app)."""
