package rest

import (
	"google.golang.org/protobuf/reflect/protoreflect"
)

// object is a message as Triton writes it in JSON: names as in the description, every number a number (protojson makes 64-bit
// ones strings), enumerators by name, and all fields there but messages and members of a oneof that are not set.
func object(message protoreflect.Message) map[string]any {
	fields := message.Descriptor().Fields()
	result := make(map[string]any, fields.Len())
	for i := range fields.Len() {
		field := fields.Get(i)
		if field.HasPresence() && !message.Has(field) {
			continue
		}
		value := message.Get(field)
		switch {
		case field.IsList():
			list := make([]any, value.List().Len())
			for j := range list {
				list[j] = one(field, value.List().Get(j))
			}
			result[string(field.Name())] = list
		case field.IsMap():
			entries := make(map[string]any, value.Map().Len())
			value.Map().Range(func(key protoreflect.MapKey, entry protoreflect.Value) bool {
				entries[key.String()] = one(field.MapValue(), entry)
				return true
			})
			result[string(field.Name())] = entries
		default:
			result[string(field.Name())] = one(field, value)
		}
	}
	return result
}

func one(field protoreflect.FieldDescriptor, value protoreflect.Value) any {
	switch field.Kind() {
	case protoreflect.MessageKind:
		return object(value.Message())
	case protoreflect.EnumKind:
		if named := field.Enum().Values().ByNumber(value.Enum()); named != nil {
			return string(named.Name())
		}
		return value.Enum()
	}
	return value.Interface()
}
