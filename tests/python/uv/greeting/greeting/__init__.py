TEXT = "signed"
