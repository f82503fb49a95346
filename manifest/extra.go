package manifest

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"strings"
)

// Extra holds the fields of an object that this version does not know. They
// came from a decoder and are written again as they are; nothing else should
// be put there.
type Extra map[string]json.RawMessage

// encode returns v as canonical JSON, together with the Extra of every struct
// in it. What a struct writes itself wins.
func encode(v any) ([]byte, error) {
	raw, err := marshal(v)
	if err != nil {
		return nil, err
	}
	if hasExtra(reflect.ValueOf(v)) {
		if raw, err = mergeExtra(raw, reflect.ValueOf(v)); err != nil {
			return nil, err
		}
	}
	out, _ := appendCanonical(make([]byte, 0, len(raw)), raw)
	return out, nil
}

// decode fills *v from all of data, and the Extra of every struct in it.
func decode(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if d.Decode(v) == nil && len(skipSpace(data[d.InputOffset():])) == 0 {
		return nil // the usual case, several times as fast
	}
	reflect.ValueOf(v).Elem().SetZero()
	if err := json.Unmarshal(data, v); err != nil {
		return err
	}
	return splitExtra(data, reflect.ValueOf(v).Elem())
}

var extraType = reflect.TypeFor[Extra]()

// hasFields tells our structs from those that are a single JSON value.
func hasFields(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	f, ok := t.FieldByName("Extra")
	return ok && f.Type == extraType
}

func isList(t reflect.Type) bool { return t.Kind() == reflect.Slice && hasFields(t.Elem()) }

func fieldName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

func hasExtra(v reflect.Value) bool {
	switch {
	case isList(v.Type()):
		for i := range v.Len() {
			if hasExtra(v.Index(i)) {
				return true
			}
		}
	case hasFields(v.Type()):
		for i := range v.NumField() {
			f := v.Field(i)
			if f.Type() == extraType && f.Len() > 0 || hasExtra(f) {
				return true
			}
		}
	}
	return false
}

func mergeExtra(raw []byte, v reflect.Value) ([]byte, error) {
	if isList(v.Type()) {
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			return nil, err
		}
		for i := range items {
			item, err := mergeExtra(items[i], v.Index(i))
			if err != nil {
				return nil, err
			}
			items[i] = item
		}
		return marshal(items)
	}
	if !hasFields(v.Type()) {
		return raw, nil
	}
	all := map[string]json.RawMessage{}
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, err
	}
	for f, value := range v.Fields() {
		if name := fieldName(f); all[name] != nil {
			merged, err := mergeExtra(all[name], value)
			if err != nil {
				return nil, err
			}
			all[name] = merged
		}
	}
	for name, value := range v.FieldByName("Extra").Interface().(Extra) {
		if all[name] == nil {
			all[name] = value
		}
	}
	return marshal(all)
}

func splitExtra(raw []byte, v reflect.Value) error {
	if isList(v.Type()) {
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			return err
		}
		for i := range min(len(items), v.Len()) { // they differ when a name occurs twice
			if err := splitExtra(items[i], v.Index(i)); err != nil {
				return err
			}
		}
		return nil
	}
	if !hasFields(v.Type()) {
		return nil
	}
	var all Extra
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	for f, value := range v.Fields() {
		name := fieldName(f)
		if field, ok := all[name]; ok {
			if err := splitExtra(field, value); err != nil {
				return err
			}
		}
		// encoding/json takes any case of a name for that of the field.
		maps.DeleteFunc(all, func(other string, _ json.RawMessage) bool { return strings.EqualFold(other, name) })
	}
	if len(all) > 0 {
		v.FieldByName("Extra").Set(reflect.ValueOf(all))
	}
	return nil
}
