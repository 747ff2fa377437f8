"""From what the user has to the one `gradcheck.layer.Layer` shape; each adapter is imported only when used."""
