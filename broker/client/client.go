// Package client speaks to the broker over the daemon's unix socket.
package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"sluice/broker/device"
	"sluice/broker/lease"
	pb "sluice/proto/gen/broker"
)

// Kinds of errors; those that the ledger knows are its own, so that errors.Is agrees on both sides of the socket.
var (
	ErrNoCapacity  = lease.ErrNoCapacity
	ErrNotFound    = lease.ErrNotFound
	ErrInvalid     = lease.ErrInvalid
	ErrUnavailable = errors.New("broker unavailable") // the daemon is away, or no worker became ready; trying again may help
	ErrBehind      = errors.New("watcher fell behind")
)

// Client calls the broker. It may be used by several goroutines.
type Client struct {
	broker pb.BrokerClient
	conn   *grpc.ClientConn
}

// Open makes a Client of the daemon that listens on a unix socket, e.g. /var/lib/sluice/sluice.sock. It does not
// connect yet.
func Open(socketPath string) (*Client, error) {
	conn, err := grpc.NewClient("unix:"+socketPath, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("opening the broker's client on %s: %w", socketPath, err)
	}
	return New(conn), nil
}

// New makes a Client of whoever is at the other end of a connection, which Close ends.
func New(conn *grpc.ClientConn) *Client { return &Client{broker: pb.NewBrokerClient(conn), conn: conn} }

// Close ends the connection and every Watch on it.
func (c *Client) Close() error { return c.conn.Close() }

// DeviceStatus is a Device of the pool and what is left of it.
type DeviceStatus struct {
	device.Device
	FreeMemoryBytes  uint64 `json:"free_memory_bytes"`
	FreeComputeMilli int    `json:"free_compute_milli"`
}

// Devices lists the pool. When it is empty, reason says why.
func (c *Client) Devices(ctx context.Context) (devices []DeviceStatus, reason string, err error) {
	r, err := c.broker.Devices(ctx, &pb.DevicesRequest{})
	if err != nil {
		return nil, "", fmt.Errorf("listing devices: %w", kind(err))
	}
	for _, d := range r.GetDevices() {
		devices = append(devices, deviceFromProto(d))
	}
	return devices, r.GetEmptyReason(), nil
}

// Leases lists what is granted, without tokens.
func (c *Client) Leases(ctx context.Context) ([]lease.Lease, error) {
	r, err := c.broker.Leases(ctx, &pb.LeasesRequest{})
	if err != nil {
		return nil, fmt.Errorf("listing leases: %w", kind(err))
	}
	var leases []lease.Lease
	for _, l := range r.GetLeases() {
		leases = append(leases, leaseFromProto(l))
	}
	return leases, nil
}

// Grant makes a Lease whose worker is ready. Errors wrap ErrNoCapacity, ErrInvalid or ErrUnavailable.
func (c *Client) Grant(ctx context.Context, request lease.Request) (lease.Lease, error) {
	if err := request.Validate(); err != nil {
		return lease.Lease{}, fmt.Errorf("asking for a lease: %w", err)
	}
	r, err := c.broker.Grant(ctx, &pb.GrantRequest{
		Tenant: request.Tenant, Holder: request.Holder, Api: request.API,
		Slices: slicesToProto(request.Slices), DurationMs: request.Duration.Milliseconds(),
	})
	if err != nil {
		return lease.Lease{}, fmt.Errorf("asking for a lease: %w", kind(err))
	}
	return leaseFromProto(r.GetLease()), nil
}

// Renew moves a Lease's expiry to now + duration. Errors wrap ErrNotFound, ErrInvalid or ErrUnavailable.
func (c *Client) Renew(ctx context.Context, id string, duration time.Duration) (lease.Lease, error) {
	r, err := c.broker.Renew(ctx, &pb.RenewRequest{LeaseId: id, DurationMs: duration.Milliseconds()})
	if err != nil {
		return lease.Lease{}, fmt.Errorf("renewing lease %s: %w", id, kind(err))
	}
	return leaseFromProto(r.GetLease()), nil
}

// Release ends a Lease and returns when its Slices are free. Errors wrap ErrNotFound or ErrUnavailable.
func (c *Client) Release(ctx context.Context, id string) error {
	if _, err := c.broker.Release(ctx, &pb.ReleaseRequest{LeaseId: id}); err != nil {
		return fmt.Errorf("releasing lease %s: %w", id, kind(err))
	}
	return nil
}

// Watcher is a stream of what happens to Leases.
type Watcher struct {
	stream grpc.ServerStreamingClient[pb.WatchResponse]
}

// Watch starts a Watcher; it sees every event after Watch returned. It ends with ctx.
func (c *Client) Watch(ctx context.Context) (*Watcher, error) {
	stream, err := c.broker.Watch(ctx, &pb.WatchRequest{})
	if err != nil {
		return nil, fmt.Errorf("watching leases: %w", kind(err))
	}
	header, err := stream.Header()
	if err == nil && header == nil {
		_, err = stream.Recv() // the stream ended without a header: this is why
	}
	if err != nil {
		return nil, fmt.Errorf("watching leases: %w", kind(err))
	}
	return &Watcher{stream}, nil
}

// Next waits for an event. After an error the Watcher is of no more use: io.EOF when the daemon stops, ErrBehind when
// the caller was too slow, ErrUnavailable, or the context's error.
func (w *Watcher) Next() (lease.Event, error) {
	r, err := w.stream.Recv()
	if errors.Is(err, io.EOF) {
		return lease.Event{}, io.EOF
	}
	if err != nil {
		return lease.Event{}, fmt.Errorf("watching leases: %w", kind(err))
	}
	return lease.Event{Kind: lease.EventKind(r.GetKind()), Lease: leaseFromProto(r.GetLease()), Reason: r.GetReason()}, nil
}

// callError is a status from the daemon: its text, under one of this package's kinds.
type callError struct {
	message string
	kind    error
}

func (e callError) Error() string { return e.message }
func (e callError) Unwrap() error { return e.kind }

// kind gives an error of a call its sentinel.
func kind(err error) error {
	kinds := map[codes.Code]error{
		codes.ResourceExhausted: ErrNoCapacity,
		codes.NotFound:          ErrNotFound,
		codes.InvalidArgument:   ErrInvalid,
		codes.Unavailable:       ErrUnavailable,
		codes.Aborted:           ErrBehind,
		codes.Canceled:          context.Canceled,
		codes.DeadlineExceeded:  context.DeadlineExceeded,
	}
	if sentinel, known := kinds[status.Code(err)]; known {
		return callError{status.Convert(err).Message(), sentinel}
	}
	return err
}
