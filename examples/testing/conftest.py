from lambent.testing import server

lambent_server = server()
