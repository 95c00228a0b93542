package sharedmemory

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Layout of the kernel's answer about a socket: struct inet_diag_msg of linux/inet_diag.h, and of the struct
// inet_diag_sockid in it and in the question.
const (
	diagRequestBytes = 56
	diagMessageBytes = 72
	diagFamily       = 0
	diagState        = 1
	diagID           = 4
	diagUser         = 64

	idSourcePort      = 0
	idDestinationPort = 2
	idSource          = 4
	idDestination     = 20
	idCookie          = 40
)

// noCookie asks for a socket by its addresses alone (INET_DIAG_NOCOOKIE).
const noCookie = ^uint64(0)

// tcpEstablished is the state of a connected socket (net/tcp_states.h).
const tcpEstablished = 1

// askTimeout bounds the kernel's answer, which comes at once.
const askTimeout = time.Second

// User is the user at the other end of a TCP connection of this host, whose addresses are given as the gateway sees them: the
// user who made the socket. A client elsewhere, or in another network namespace, gives ErrDenied.
func User(client, gateway net.Addr) (uint32, error) {
	from, err := address(client)
	if err != nil {
		return 0, err
	}
	to, err := address(gateway)
	if err != nil {
		return 0, err
	}
	answer, err := ask(from, to)
	if err != nil {
		return 0, fmt.Errorf("%w: shared memory is for clients on this host: %w", ErrDenied, err)
	}
	// Where no connection fits, the kernel may answer with a socket that listens.
	if len(answer) < diagMessageBytes || answer[diagState] != tcpEstablished || !isOf(answer, from, to) {
		return 0, fmt.Errorf("%w: shared memory is for clients on this host, and %s is none", ErrDenied, from)
	}
	return binary.NativeEndian.Uint32(answer[diagUser:]), nil
}

func address(of net.Addr) (netip.AddrPort, error) {
	tcp, ok := of.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("%w: the connection's user is not known", ErrDenied)
	}
	at := tcp.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), nil
}

// isOf says whether an answer is about the connection of these addresses.
func isOf(answer []byte, from, to netip.AddrPort) bool {
	id := answer[diagID:]
	read := func(at int) netip.Addr {
		if answer[diagFamily] == unix.AF_INET {
			return netip.AddrFrom4([4]byte(id[at : at+4]))
		}
		return netip.AddrFrom16([16]byte(id[at : at+16])).Unmap()
	}
	return binary.BigEndian.Uint16(id[idSourcePort:]) == from.Port() && binary.BigEndian.Uint16(id[idDestinationPort:]) == to.Port() &&
		read(idSource) == from.Addr().WithZone("") && read(idDestination) == to.Addr().WithZone("")
}

// ask gives what the kernel says of the socket that connects these addresses (sock_diag(7)).
func ask(from, to netip.AddrPort) ([]byte, error) {
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	defer unix.Close(socket)
	timeout := unix.NsecToTimeval(askTimeout.Nanoseconds())
	if err := unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Sendto(socket, question(from, to), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, os.NewSyscallError("sendto", err)
	}
	answer := make([]byte, os.Getpagesize())
	n, _, err := unix.Recvfrom(socket, answer, 0)
	if err != nil {
		return nil, os.NewSyscallError("recvfrom", err)
	}
	if n < unix.NLMSG_HDRLEN+4 {
		return nil, fmt.Errorf("the kernel answers with %d bytes", n)
	}
	if binary.NativeEndian.Uint16(answer[4:]) == unix.NLMSG_ERROR {
		return nil, fmt.Errorf("%s is no connection of this host: %w", from, unix.Errno(-int32(binary.NativeEndian.Uint32(answer[unix.NLMSG_HDRLEN:]))))
	}
	return answer[unix.NLMSG_HDRLEN:n], nil
}

// question is a struct inet_diag_req_v2 behind its header.
func question(from, to netip.AddrPort) []byte {
	text := make([]byte, unix.NLMSG_HDRLEN+diagRequestBytes)
	binary.NativeEndian.PutUint32(text, uint32(len(text)))
	binary.NativeEndian.PutUint16(text[4:], unix.SOCK_DIAG_BY_FAMILY)
	binary.NativeEndian.PutUint16(text[6:], unix.NLM_F_REQUEST)
	body := text[unix.NLMSG_HDRLEN:]
	body[0], body[1] = unix.AF_INET6, unix.IPPROTO_TCP
	if from.Addr().Is4() {
		body[0] = unix.AF_INET
	}
	binary.NativeEndian.PutUint32(body[4:], ^uint32(0)) // all states
	id := body[8:]
	binary.BigEndian.PutUint16(id[idSourcePort:], from.Port())
	binary.BigEndian.PutUint16(id[idDestinationPort:], to.Port())
	copy(id[idSource:], from.Addr().AsSlice())
	copy(id[idDestination:], to.Addr().AsSlice())
	binary.NativeEndian.PutUint64(id[idCookie:], noCookie)
	return text
}
