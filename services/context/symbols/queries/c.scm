; @declarator stands for the name somewhere inside it: C wraps names into pointers, arrays and parentheses.

(function_definition declarator: (_) @declarator) @function
(struct_specifier name: (_) @declarator body: (_)) @struct
(union_specifier name: (_) @declarator body: (_)) @struct
(enum_specifier name: (_) @declarator body: (_)) @enum
(enumerator name: (identifier) @name) @constant
; typedef struct { … } name;
(type_definition type: (struct_specifier !name body: (_)) declarator: (type_identifier) @name) @struct
(type_definition type: (union_specifier !name body: (_)) declarator: (type_identifier) @name) @struct
(type_definition type: (enum_specifier !name body: (_)) declarator: (type_identifier) @name) @enum
(type_definition declarator: (_) @declarator) @type
(field_declaration declarator: (_) @declarator) @field
(preproc_def name: (identifier) @name) @macro
(preproc_function_def name: (identifier) @name) @macro

; Variables; those of functions fall away because of where they are. Prototypes say what is defined elsewhere.
(declaration declarator: [
  (identifier) @name
  (pointer_declarator declarator: [(identifier) @name (pointer_declarator declarator: (identifier) @name)])
  (array_declarator declarator: (_) @declarator)
  (init_declarator declarator: (_) @declarator)
]) @variable
