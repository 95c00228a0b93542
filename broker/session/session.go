// Package session is the daemon's side of a shim's connection: it reads the greeting, finds the Lease that the token
// names, hands the connection to that Lease's worker, and steps aside.
package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sluice/broker/lease"
	"sluice/vdev/wire"
)

// Limits of greetings.
const (
	HelloTimeout  = 2 * time.Second // from accept to the last byte of the greeting
	GreetingsMax  = 256             // at the same time; more wait in the socket's backlog
	SocketPathMax = 107             // bytes; sun_path of unix(7) less its final zero
)

// A Lease has no more devices than a shim can show.
var _ = [1]struct{}{}[wire.DevicesMax-lease.SlicesMax]

// acceptPause is how long a daemon without free descriptors waits before it accepts again.
const acceptPause = 100 * time.Millisecond

// Refusals for a person, in the program's output.
const (
	refusalMagic    = "this socket speaks Sluice's device protocol, and your program does not: is SLUICE_SOCKET set for another program?"
	refusalProtocol = "this program's Sluice library is of another build than the lease's worker (protocol %016x, the worker has %016x): start the program again, with a new lease"
	refusalToken    = "no lease has this token: it expired, was released, or its worker died; ask for a new lease (SLUICE_TOKEN)"
	refusalWorker   = "the lease's worker cannot take this session: %v"
	refusalHello    = "malformed greeting: %v"
)

// Greeting is an accepted connection that waits for its worker.
type Greeting struct {
	SessionID  string
	PID        uint32 // as the shim names itself
	APIVersion uint32
	Conn       *os.File // a copy of the connection; HandOver's caller closes it
}

// Leases is what a Listener needs to know of the broker.
type Leases interface {
	// ByToken finds the living Lease that a token opens, and which shims its worker serves: those built with the same
	// wire.ProtocolHash. A worker can be older than the daemon. The error wraps lease.ErrNotFound.
	ByToken(token string) (held lease.Lease, protocolHash uint64, err error)
	// HandOver sends a connection to the Lease's worker.
	HandOver(leaseID string, g Greeting) error
}

// Counts of greetings since the start.
type Counts struct {
	HandedOver uint64
	Refused    uint64
}

// Listener accepts shims on a unix socket.
type Listener struct {
	socket *net.UnixListener
	leases Leases
	log    *slog.Logger

	handedOver atomic.Uint64
	refused    atomic.Uint64
	lastID     atomic.Uint64
}

// Listen makes a socket at socketPath anew, and its folder when that is missing. Shims that connect before Run is called wait.
// Any user may connect: a container's program has any uid, and the token decides.
func Listen(socketPath string, leases Leases, log *slog.Logger) (*Listener, error) {
	if len(socketPath) > SocketPathMax {
		return nil, fmt.Errorf("session socket %s: path has %d bytes, at most %d", socketPath, len(socketPath), SocketPathMax)
	}
	if err := os.MkdirAll(filepath.Dir(socketPath), 0o755); err != nil {
		return nil, fmt.Errorf("making the session socket's folder: %w", err)
	}
	if err := os.Remove(socketPath); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("removing an earlier session socket: %w", err)
	}
	socket, err := net.ListenUnix("unix", &net.UnixAddr{Name: socketPath, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listening for shims: %w", err)
	}
	if err := os.Chmod(socketPath, 0o666); err != nil {
		socket.Close()
		return nil, fmt.Errorf("opening the session socket to programs: %w", err)
	}
	return &Listener{socket: socket, leases: leases, log: log}, nil
}

// Close takes the socket away. Run does so too when it ends.
func (l *Listener) Close() error { return l.socket.Close() }

// Counts tells how many connections were handed over and refused.
func (l *Listener) Counts() Counts {
	return Counts{HandedOver: l.handedOver.Load(), Refused: l.refused.Load()}
}

// Run accepts until ctx ends, then waits for the greetings under way. Sessions that were handed over live on.
func (l *Listener) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { l.socket.Close() })
	defer stop()
	defer l.socket.Close()

	var greetings sync.WaitGroup
	defer greetings.Wait()
	places := make(chan struct{}, GreetingsMax)
	for {
		conn, err := l.socket.AcceptUnix()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return nil
		}
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			l.log.Error("no descriptor left for a shim's connection", "error", err)
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("accepting shims on %s: %w", l.socket.Addr(), err)
		}
		places <- struct{}{} // given back within HelloTimeout
		greetings.Add(1)
		go func() {
			defer func() { <-places; greetings.Done() }()
			l.greet(conn)
		}()
	}
}

// greet serves one connection up to the hand-over.
func (l *Listener) greet(conn *net.UnixConn) {
	defer conn.Close()
	log := l.log
	if err := conn.SetDeadline(time.Now().Add(HelloTimeout)); err != nil {
		log.Warn("session refused", "error", err)
		return
	}
	hello, err := wire.ReadHello(conn)
	if err != nil {
		message := fmt.Sprintf(refusalHello, err)
		if errors.Is(err, wire.ErrMagic) {
			message = refusalMagic
		}
		l.refuse(conn, log, message)
		return
	}
	log = log.With("shim_pid", hello.PID)
	held, protocolHash, err := l.leases.ByToken(hello.Token)
	if err != nil {
		l.refuse(conn, log, refusalToken)
		return
	}
	if hello.ProtocolHash != protocolHash {
		l.refuse(conn, log, fmt.Sprintf(refusalProtocol, hello.ProtocolHash, protocolHash))
		return
	}
	id := held.ID + "." + strconv.FormatUint(l.lastID.Add(1), 10)
	log = log.With("lease", held.ID, "tenant", held.Tenant, "holder", held.Holder, "session", id)
	if err := l.handOver(conn, held.ID, Greeting{SessionID: id, PID: hello.PID, APIVersion: hello.APIVersion}); err != nil {
		l.refuse(conn, log, fmt.Sprintf(refusalWorker, err))
		return
	}
	l.handedOver.Add(1)
	log.Info("session handed over")
}

func (l *Listener) handOver(conn *net.UnixConn, leaseID string, g Greeting) error {
	file, err := conn.File()
	if err != nil {
		return fmt.Errorf("copying the connection's descriptor: %w", err)
	}
	defer file.Close()
	g.Conn = file
	return l.leases.HandOver(leaseID, g)
}

func (l *Listener) refuse(conn *net.UnixConn, log *slog.Logger, message string) {
	l.refused.Add(1)
	log.Warn("session refused", "reason", message)
	err := conn.SetWriteDeadline(time.Now().Add(HelloTimeout))
	if err == nil {
		err = wire.WriteRefusal(conn, message)
	}
	if err != nil {
		log.Debug("the refused shim is gone", "error", err)
	}
}
