// Package strictjson reads JSON without guessing. It is encoding/json's Unmarshal with what that lets pass made an error,
// named with its line and path:
//
//   - names are exact: "Content" is not "content";
//   - a name that stands twice in an object, at any depth;
//   - null as an element of a list or map of numbers, strings, truth values, lists or objects. A field that is null is left
//     as it is, like one that is missing;
//   - half of a surrogate pair, bytes that are not UTF-8, NaN and Infinity;
//   - a number that its place does not hold: 1.5 or 3e9 for a 32-bit integer.
//
// Tags are those of encoding/json (`json:"name"`), and types with an UnmarshalJSON method read themselves.
//
//	err := strictjson.Unmarshal(raw, &config)  // line 3: rope_scaling.factor: string found, want number
package strictjson
