// payload
