// Package freeport finds a port for a server of a test or a benchmark that must be told one before it starts.
package freeport

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports from first on, below the ones that Linux hands out itself (ip_local_port_range begins at 32768):
// another test's connection, or its listener on port 0, cannot take the port before the server does.
const first, end = 10240, 32768

const attempts = 100

// Find returns a port of 127.0.0.1 that nobody listens on at this moment.
func Find() (int, error) {
	var failure error
	for range attempts {
		port := first + rand.IntN(end-first)
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, listener.Close()
		}
		failure = err
	}
	return 0, fmt.Errorf("find a free port in %d attempts: %w", attempts, failure)
}

// Address returns 127.0.0.1 with such a port.
func Address() (string, error) {
	port, err := Find()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), err
}
