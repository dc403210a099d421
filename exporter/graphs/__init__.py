"""The TensorFlow graph of a Keras model, made of operations that browsers' runtimes have.

Used by the formats that start from a graph (tfjs-graph, onnx). May import `exporter.source`,
`exporter.manifest` and `exporter.errors`, never a format or a runtime. TensorFlow is imported
when a graph is traced.
"""
