"""Fine-tuning of the streaming model: data sets, collation, training, evaluation.

Knows nothing of ROS: nothing here imports `vlo_ros.ros`, rclpy or a message.
"""
