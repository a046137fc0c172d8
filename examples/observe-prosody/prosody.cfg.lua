-- For Prosody's global section: clients come from the gate, on loopback and without TLS.
c2s_interfaces = { "127.0.0.1" }
c2s_ports = { 15222 }
c2s_direct_tls_ports = {}
c2s_require_encryption = false
