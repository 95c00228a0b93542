package access

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"sluice/proto/gen/broker"
	"sluice/proto/gen/control"
)

// rule is what holds for one method.
type rule struct {
	tenants bool // tenants may call it; its request has a field `tenant`, which becomes the caller
	changes bool // what it does is recorded
}

// rules lists the methods that are harmless or for tenants. What is not here is the operator's alone, and recorded.
//
// Images are not for tenants: all functions share the names in the image store.
var rules = map[string]rule{
	control.Control_Deploy_FullMethodName:         {tenants: true, changes: true},
	control.Control_RemoveFunction_FullMethodName: {tenants: true, changes: true},
	control.Control_RotateKeys_FullMethodName:     {tenants: true, changes: true},
	control.Control_ListFunctions_FullMethodName:  {tenants: true},
	control.Control_GetFunction_FullMethodName:    {tenants: true},
	control.Control_ListInstances_FullMethodName:  {tenants: true},
	control.Control_Logs_FullMethodName:           {tenants: true},
	control.Control_Metrics_FullMethodName:        {tenants: true},
	control.Control_ListTenants_FullMethodName:    {tenants: true},
	control.Control_ListKeys_FullMethodName:       {tenants: true},
	broker.Broker_Leases_FullMethodName:           {tenants: true},
	broker.Broker_Devices_FullMethodName:          {},
	broker.Broker_Watch_FullMethodName:            {},
	// The daemon renews the leases of its own instances this way, and grants them: they are in its log.
	broker.Broker_Grant_FullMethodName:   {},
	broker.Broker_Renew_FullMethodName:   {},
	broker.Broker_Release_FullMethodName: {},
}

func ruleOf(method string) rule {
	r, listed := rules[method]
	return rule{tenants: r.tenants, changes: r.changes || !listed}
}

// tenantField is the request field that names whose things a call is about.
const tenantField protoreflect.Name = "tenant"

// scope makes a tenant's request one about its own things. Another's name is answered as if there were nobody of that
// name, whether there is or not.
func scope(caller Caller, request any) error {
	if caller.Tenant == "" {
		return nil
	}
	message, ok := request.(proto.Message)
	if !ok {
		return status.Error(codes.Internal, "internal error")
	}
	fields := message.ProtoReflect()
	field := fields.Descriptor().Fields().ByName(tenantField)
	if field == nil || field.Kind() != protoreflect.StringKind {
		return status.Error(codes.Internal, "internal error")
	}
	if named := fields.Get(field).String(); named != "" && named != caller.Tenant {
		return status.Errorf(codes.NotFound, "tenant %q: not found", named)
	}
	fields.Set(field, protoreflect.ValueOfString(caller.Tenant))
	return nil
}

// scopedStream scopes each request of a stream, and keeps the first for the record.
type scopedStream struct {
	grpc.ServerStream
	ctx    context.Context
	caller Caller
	first  any
}

func (s *scopedStream) Context() context.Context { return s.ctx }

func (s *scopedStream) RecvMsg(message any) error {
	if err := s.ServerStream.RecvMsg(message); err != nil {
		return err
	}
	if s.first == nil {
		s.first = message
	}
	return scope(s.caller, message)
}
