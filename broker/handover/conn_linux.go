package handover

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// descriptorsMax is one more than a message may carry, so that a second one is seen, and refused, not cut off.
const descriptorsMax = 2

// Conn is a connection of the control socket. One goroutine may Send while another Receives.
type Conn struct {
	socket *net.UnixConn
}

// Dial connects to a worker's control socket.
func Dial(path string) (*Conn, error) {
	socket, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("dialling a worker: %w", err)
	}
	return &Conn{socket}, nil
}

// Listen makes a worker's control socket at path. It stays there when the listener is closed, because the worker listens on.
func Listen(path string) (*net.UnixListener, error) {
	listener, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("making a worker's control socket: %w", err)
	}
	listener.SetUnlinkOnClose(false)
	return listener, nil
}

// Accept waits for the daemon.
func Accept(listener *net.UnixListener) (*Conn, error) {
	socket, err := listener.AcceptUnix()
	if err != nil {
		return nil, fmt.Errorf("accepting the daemon: %w", err)
	}
	return &Conn{socket}, nil
}

// Close ends the connection; a Receive under way returns an error.
func (c *Conn) Close() error { return c.socket.Close() }

// SetWriteDeadline bounds Send.
func (c *Conn) SetWriteDeadline(at time.Time) error { return c.socket.SetWriteDeadline(at) }

// Send sends a message. A message that carries a file needs it, nothing else has one; the caller still owns it.
func (c *Conn) Send(m Message, file *os.File) error {
	if m.carriesFile() != (file != nil) {
		return fmt.Errorf("%w: a descriptor that the message does not speak of, or none where it does", ErrMessage)
	}
	packet, err := encode(m)
	if err != nil {
		return err
	}
	var rights []byte
	if file != nil {
		rights = unix.UnixRights(int(file.Fd()))
	}
	if _, _, err := c.socket.WriteMsgUnix(packet, rights, nil); err != nil {
		return fmt.Errorf("sending a control message: %w", err)
	}
	return nil
}

// Receive waits for a message. With one that carries a file comes the file, which the caller owns. At the peer's end the error is
// io.EOF; an error that wraps ErrMessage is the peer's fault.
func (c *Conn) Receive() (Message, *os.File, error) {
	packet := make([]byte, MessageBytesMax+1)
	rights := make([]byte, unix.CmsgSpace(4*descriptorsMax))
	n, rightsBytes, flags, _, err := c.socket.ReadMsgUnix(packet, rights)
	if err != nil {
		if errors.Is(err, unix.ECONNRESET) || errors.Is(err, io.EOF) {
			return Message{}, nil, io.EOF
		}
		return Message{}, nil, fmt.Errorf("receiving a control message: %w", err)
	}
	files, err := descriptors(rights[:rightsBytes])
	if err == nil && n == 0 && len(files) == 0 {
		return Message{}, nil, io.EOF
	}
	if err == nil && flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		err = fmt.Errorf("%w: over %d bytes or %d descriptors", ErrMessage, MessageBytesMax, descriptorsMax)
	}
	var m Message
	if err == nil {
		m, err = decode(packet[:n])
	}
	wanted := 0
	if m.carriesFile() {
		wanted = 1
	}
	if err == nil && len(files) != wanted {
		err = fmt.Errorf("%w: %d descriptors, must be %d", ErrMessage, len(files), wanted)
	}
	if err != nil {
		for _, f := range files {
			f.Close()
		}
		return Message{}, nil, err
	}
	if wanted == 0 {
		return m, nil, nil
	}
	return m, files[0], nil
}

// descriptors takes ownership of every descriptor in a packet's ancillary data, also when it is malformed.
func descriptors(rights []byte) ([]*os.File, error) {
	if len(rights) == 0 {
		return nil, nil
	}
	controls, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMessage, err)
	}
	var files []*os.File
	for _, control := range controls {
		fds, err := unix.ParseUnixRights(&control)
		if err != nil {
			continue // other ancillary data is not asked for, and carries nothing to close
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "session"))
		}
	}
	return files, nil
}
