// status
