package server

import (
	"context"
	"errors"
	"math"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"sluice/broker/device"
	"sluice/broker/lease"
	pb "sluice/proto/gen/broker"
)

// service is the broker's API.
type service struct {
	pb.UnimplementedBrokerServer
	server *Server
}

// Register adds the broker's API to a gRPC server. Whoever may call it may have any Lease.
func (s *Server) Register(registrar grpc.ServiceRegistrar) {
	pb.RegisterBrokerServer(registrar, &service{server: s})
}

// codeOf is the one place where kinds of errors become gRPC codes.
func codeOf(err error) codes.Code {
	switch {
	case errors.Is(err, lease.ErrNoCapacity):
		return codes.ResourceExhausted
	case errors.Is(err, lease.ErrInvalid):
		return codes.InvalidArgument
	case errors.Is(err, lease.ErrNotFound) && !errors.Is(err, errNotServed):
		return codes.NotFound
	case errors.Is(err, context.Canceled):
		return codes.Canceled
	case errors.Is(err, errNotServed):
		return codes.Unavailable
	case errors.Is(err, context.DeadlineExceeded):
		return codes.DeadlineExceeded
	}
	return codes.Internal
}

func statusOf(err error) error { return status.Error(codeOf(err), err.Error()) }

func (s *service) Devices(context.Context, *pb.DevicesRequest) (*pb.DevicesResponse, error) {
	s.server.mutex.Lock()
	defer s.server.mutex.Unlock()
	response := &pb.DevicesResponse{EmptyReason: s.server.emptyReason}
	for _, d := range s.server.ledger.Devices() {
		memoryBytes, computeMilli := s.server.ledger.Available(d.ID)
		response.Devices = append(response.Devices, &pb.Device{
			Id: d.ID, Name: d.Name, Vendor: d.Vendor, Platform: d.Platform, DriverVersion: d.DriverVersion,
			Api: d.API, Kind: string(d.Kind), MemoryBytes: d.MemoryBytes, MaxAllocBytes: d.MaxAllocBytes,
			ComputeUnits: int32(d.ComputeUnits), PlatformIndex: int32(d.PlatformIndex), DeviceIndex: int32(d.DeviceIndex),
			FreeMemoryBytes: memoryBytes, FreeComputeMilli: int32(computeMilli),
		})
	}
	return response, nil
}

func (s *service) Leases(_ context.Context, r *pb.LeasesRequest) (*pb.LeasesResponse, error) {
	s.server.mutex.Lock()
	defer s.server.mutex.Unlock()
	response := &pb.LeasesResponse{}
	for _, l := range s.server.ledger.Leases() {
		if r.GetTenant() != "" && l.Tenant != r.GetTenant() {
			continue
		}
		l.Token = ""
		response.Leases = append(response.Leases, leaseToProto(l))
	}
	return response, nil
}

func (s *service) Grant(ctx context.Context, r *pb.GrantRequest) (*pb.GrantResponse, error) {
	request := lease.Request{Tenant: r.GetTenant(), Holder: r.GetHolder(), API: r.GetApi(), Duration: milliseconds(r.GetDurationMs())}
	for _, asked := range r.GetSlices() {
		request.Slices = append(request.Slices, device.Slice{
			DeviceID: asked.GetDeviceId(), MemoryBytes: asked.GetMemoryBytes(),
			ComputeMilli: int(asked.GetComputeMilli()), Keeper: device.Keeper(asked.GetKeeper()),
		})
	}
	granted, err := s.server.grant(ctx, request)
	if err != nil {
		return nil, statusOf(err)
	}
	return &pb.GrantResponse{Lease: leaseToProto(granted)}, nil
}

func (s *service) Renew(_ context.Context, r *pb.RenewRequest) (*pb.RenewResponse, error) {
	renewed, err := s.server.renew(r.GetLeaseId(), milliseconds(r.GetDurationMs()))
	if err != nil {
		return nil, statusOf(err)
	}
	renewed.Token = ""
	return &pb.RenewResponse{Lease: leaseToProto(renewed)}, nil
}

func (s *service) Release(ctx context.Context, r *pb.ReleaseRequest) (*pb.ReleaseResponse, error) {
	if err := s.server.release(ctx, r.GetLeaseId()); err != nil {
		return nil, statusOf(err)
	}
	return &pb.ReleaseResponse{}, nil
}

func (s *service) Watch(_ *pb.WatchRequest, stream grpc.ServerStreamingServer[pb.WatchResponse]) error {
	subscription := s.server.Subscribe()
	defer s.server.Unsubscribe(subscription)
	if err := stream.SendHeader(metadata.MD{}); err != nil {
		return err
	}
	for {
		select {
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		case event, open := <-subscription.Events():
			if !open && subscription.Behind() {
				return status.Errorf(codes.Aborted, "more than %d events wait for this watcher", subscriptionEventsMax)
			}
			if !open {
				return nil
			}
			err := stream.Send(&pb.WatchResponse{Kind: string(event.Kind), Lease: leaseToProto(event.Lease), Reason: event.Reason})
			if err != nil {
				return err
			}
		}
	}
}

// milliseconds is a duration that does not wrap around; what is too long is refused later.
func milliseconds(ms int64) time.Duration {
	const most = math.MaxInt64 / int64(time.Millisecond)
	return time.Duration(max(-most, min(ms, most))) * time.Millisecond
}

func leaseToProto(l lease.Lease) *pb.Lease {
	made := &pb.Lease{
		Id: l.ID, Tenant: l.Tenant, Holder: l.Holder, Token: l.Token,
		GrantedAtUnixMs: l.GrantedAt.UnixMilli(), ExpiresAtUnixMs: l.ExpiresAt.UnixMilli(),
	}
	for _, s := range l.Slices {
		made.Slices = append(made.Slices, &pb.Slice{
			DeviceId: s.DeviceID, MemoryBytes: s.MemoryBytes, ComputeMilli: int32(s.ComputeMilli), Keeper: string(s.Keeper),
		})
	}
	return made
}
