package access

import (
	"context"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/credentials"
)

// processCredentials tell who is at the other end of a Unix socket (unix(7), SO_PEERCRED). What passes is plain.
type processCredentials struct{}

// processInfo is the process that connected.
type processInfo struct {
	pid int32
	uid uint32
}

// AuthType implements credentials.AuthInfo.
func (processInfo) AuthType() string { return "process" }

// ServerHandshake implements credentials.TransportCredentials.
func (processCredentials) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, nil, fmt.Errorf("a connection of type %T is not from this machine", conn)
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil, nil, fmt.Errorf("asking who connected: %w", err)
	}
	var process *unix.Ucred
	var asked error
	err = raw.Control(func(descriptor uintptr) {
		process, asked = unix.GetsockoptUcred(int(descriptor), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err != nil || asked != nil {
		return nil, nil, fmt.Errorf("asking who connected: %w, %w", err, asked)
	}
	return conn, processInfo{pid: process.Pid, uid: process.Uid}, nil
}

// ClientHandshake implements credentials.TransportCredentials.
func (processCredentials) ClientHandshake(_ context.Context, _ string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return conn, processInfo{}, nil
}

// Info implements credentials.TransportCredentials.
func (processCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "process"}
}

// Clone implements credentials.TransportCredentials.
func (c processCredentials) Clone() credentials.TransportCredentials { return c }

// OverrideServerName implements credentials.TransportCredentials.
func (processCredentials) OverrideServerName(string) error { return nil }
