package executor_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"sluice/broker/client"
	"sluice/broker/device"
	"sluice/broker/lease"
	pb "sluice/proto/gen/broker"
)

const gibibyte = 1 << 30

// simulatedBroker serves the broker's API over a real ledger, without workers: a lease is a promise that nobody keeps.
type simulatedBroker struct {
	pb.UnimplementedBrokerServer
	t *testing.T

	mutex    sync.Mutex
	ledger   *lease.Ledger
	count    int
	renewals int
	deaf     bool // to Renew
	watchers map[chan *pb.WatchResponse]bool
}

// startSimulatedBroker serves a pool of one device of 1 GiB and returns a client of it.
func startSimulatedBroker(t *testing.T) (*simulatedBroker, *client.Client) {
	t.Helper()
	ledger, err := lease.NewLedger([]device.Device{{ID: "d0", API: device.APIOpenCL, MemoryBytes: gibibyte}})
	if err != nil {
		t.Fatal(err)
	}
	broker := &simulatedBroker{t: t, ledger: ledger, watchers: make(map[chan *pb.WatchResponse]bool)}
	socket := filepath.Join(t.TempDir(), "broker.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	pb.RegisterBrokerServer(server, broker)
	var group sync.WaitGroup
	group.Go(func() {
		if err := server.Serve(listener); err != nil {
			t.Error(err)
		}
	})
	opened, err := client.Open(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = opened.Close()
		server.Stop()
		group.Wait()
	})
	return broker, opened
}

func (b *simulatedBroker) Devices(context.Context, *pb.DevicesRequest) (*pb.DevicesResponse, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	response := &pb.DevicesResponse{}
	for _, d := range b.ledger.Devices() {
		memory, compute := b.ledger.Available(d.ID)
		response.Devices = append(response.Devices, &pb.Device{
			Id: d.ID, Api: d.API, MemoryBytes: d.MemoryBytes, FreeMemoryBytes: memory, FreeComputeMilli: int32(compute),
		})
	}
	return response, nil
}

func (b *simulatedBroker) Leases(context.Context, *pb.LeasesRequest) (*pb.LeasesResponse, error) {
	response := &pb.LeasesResponse{}
	for _, l := range b.leases() {
		response.Leases = append(response.Leases, toProto(l))
	}
	return response, nil
}

func (b *simulatedBroker) Grant(_ context.Context, request *pb.GrantRequest) (*pb.GrantResponse, error) {
	asked := lease.Request{
		Tenant: request.GetTenant(), Holder: request.GetHolder(), API: request.GetApi(),
		Duration: time.Duration(request.GetDurationMs()) * time.Millisecond,
	}
	for _, s := range request.GetSlices() {
		asked.Slices = append(asked.Slices, device.Slice{
			DeviceID: s.GetDeviceId(), MemoryBytes: s.GetMemoryBytes(), ComputeMilli: int(s.GetComputeMilli()),
		})
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.count++
	granted, err := b.ledger.Grant(time.Now(), fmt.Sprint("lease-", b.count), fmt.Sprintf("%064d", b.count), asked)
	if errors.Is(err, lease.ErrNoCapacity) {
		return nil, status.Error(codes.ResourceExhausted, err.Error())
	}
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	b.tell(lease.EventGranted, granted, "")
	response := toProto(granted)
	response.Token = granted.Token
	return &pb.GrantResponse{Lease: response}, nil
}

func (b *simulatedBroker) Renew(_ context.Context, request *pb.RenewRequest) (*pb.RenewResponse, error) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.deaf {
		return nil, status.Error(codes.Unavailable, "simulated")
	}
	renewed, err := b.ledger.Renew(time.Now(), request.GetLeaseId(), time.Duration(request.GetDurationMs())*time.Millisecond)
	if err != nil {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	b.renewals++
	return &pb.RenewResponse{Lease: toProto(renewed)}, nil
}

func (b *simulatedBroker) Release(_ context.Context, request *pb.ReleaseRequest) (*pb.ReleaseResponse, error) {
	if err := b.finish(request.GetLeaseId(), lease.EventReleased, ""); err != nil {
		return nil, status.Error(codes.NotFound, err.Error())
	}
	return &pb.ReleaseResponse{}, nil
}

func (b *simulatedBroker) Watch(_ *pb.WatchRequest, stream grpc.ServerStreamingServer[pb.WatchResponse]) error {
	events := make(chan *pb.WatchResponse, 1000)
	b.mutex.Lock()
	b.watchers[events] = true
	b.mutex.Unlock()
	if err := stream.SendHeader(metadata.MD{}); err != nil {
		return err
	}
	for {
		select {
		case <-stream.Context().Done():
			return nil
		case event, open := <-events:
			if !open {
				return status.Error(codes.Aborted, "simulated")
			}
			if err := stream.Send(event); err != nil {
				return err
			}
		}
	}
}

// finish ends a lease and frees its slices.
func (b *simulatedBroker) finish(id string, kind lease.EventKind, reason string) error {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	ended, err := b.ledger.End(id)
	if err != nil {
		return err
	}
	b.tell(kind, ended, reason)
	return b.ledger.Free(id)
}

// lose ends a lease as a worker's death does.
func (b *simulatedBroker) lose(id string) {
	b.t.Helper()
	if err := b.finish(id, lease.EventLost, "killed by signal: SIGKILL"); err != nil {
		b.t.Errorf("lose %s: %v", id, err)
	}
}

// interrupt breaks every event stream, and ends a lease before anybody watches again.
func (b *simulatedBroker) interrupt(id string) {
	b.t.Helper()
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for events := range b.watchers {
		close(events)
	}
	clear(b.watchers)
	if _, err := b.ledger.End(id); err != nil {
		b.t.Errorf("end %s: %v", id, err)
	}
	if err := b.ledger.Free(id); err != nil {
		b.t.Errorf("free %s: %v", id, err)
	}
}

func (b *simulatedBroker) tell(kind lease.EventKind, l lease.Lease, reason string) {
	for events := range b.watchers {
		events <- &pb.WatchResponse{Kind: string(kind), Lease: toProto(l), Reason: reason}
	}
}

func (b *simulatedBroker) leases() []lease.Lease {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.ledger.Leases()
}

func (b *simulatedBroker) granted() int {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.count
}

func (b *simulatedBroker) renewed() int {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return b.renewals
}

func (b *simulatedBroker) setDeaf(deaf bool) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.deaf = deaf
}

func toProto(l lease.Lease) *pb.Lease {
	made := &pb.Lease{
		Id: l.ID, Tenant: l.Tenant, Holder: l.Holder,
		GrantedAtUnixMs: l.GrantedAt.UnixMilli(), ExpiresAtUnixMs: l.ExpiresAt.UnixMilli(),
	}
	for _, s := range l.Slices {
		made.Slices = append(made.Slices, &pb.Slice{
			DeviceId: s.DeviceID, MemoryBytes: s.MemoryBytes, ComputeMilli: int32(s.ComputeMilli), Keeper: string(s.Keeper),
		})
	}
	return made
}
