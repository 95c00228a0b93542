package gateway

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// reservedFiles is how many of the files that the process may have open are not for clients' connections.
const reservedFiles = 1024

// ConnectionLimit bounds the connections of all listeners that it is given together: clients that open more find them closed, and
// the daemon has files left for everything else.
type ConnectionLimit struct {
	most int64
	open atomic.Int64
}

// NewConnectionLimit leaves reservedFiles of what the process may have open, or half of it where that is little.
func NewConnectionLimit() (*ConnectionLimit, error) {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return nil, fmt.Errorf("find out how many files may be open: %w", err)
	}
	const unlimited = 1 << 30
	most := int64(min(files.Cur, unlimited))
	return &ConnectionLimit{most: max(most-reservedFiles, most/2)}, nil
}

// Listen gives a listener whose connections count.
func (l *ConnectionLimit) Listen(listener net.Listener) net.Listener {
	return &limitedListener{listener, l}
}

type limitedListener struct {
	net.Listener
	limit *ConnectionLimit
}

func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.limit.open.Add(1) <= l.limit.most {
			return &limitedConnection{Conn: accepted, leave: sync.OnceFunc(func() { l.limit.open.Add(-1) })}, nil
		}
		l.limit.open.Add(-1)
		_ = accepted.Close() // the client hears of it, or is gone
	}
}

type limitedConnection struct {
	net.Conn
	leave func()
}

func (c *limitedConnection) Close() error {
	c.leave()
	return c.Conn.Close()
}
