; What JavaScript and TypeScript have in common.

(function_declaration name: (identifier) @name) @function
(generator_function_declaration name: (identifier) @name) @function
(method_definition name: [
  (property_identifier) @name
  (private_property_identifier) @name
  (computed_property_name) @name
  (string (string_fragment) @name)
]) @method
(return_statement (function_expression name: (identifier) @name) @function)
(arguments (function_expression name: (identifier) @name) @function)

(variable_declarator
  name: (identifier) @name
  value: [(arrow_function) (function_expression) (generator_function)]) @function
(variable_declarator name: (identifier) @name value: (class)) @class

(pair
  key: [(property_identifier) @name (string (string_fragment) @name)]
  value: [(arrow_function) (function_expression) (generator_function)]) @method

(assignment_expression
  left: [(identifier) @name (member_expression object: (_) @container property: (property_identifier) @name)]
  right: [(arrow_function) (function_expression) (generator_function)]) @function
(assignment_expression
  left: [(identifier) @name (member_expression object: (_) @container property: (property_identifier) @name)]
  right: (class)) @class
; Name.prototype.method = otherFunction
((assignment_expression
  left: (member_expression
    object: (member_expression property: (property_identifier) @_prototype) @container
    property: (property_identifier) @name)
  right: [(identifier) (member_expression)]) @method
  (#eq? @_prototype "prototype"))

(program [
  (lexical_declaration kind: "const" (variable_declarator name: (identifier) @name) @constant)
  (export_statement (lexical_declaration kind: "const" (variable_declarator name: (identifier) @name) @constant))
  (lexical_declaration kind: "let" (variable_declarator name: (identifier) @name) @variable)
  (export_statement (lexical_declaration kind: "let" (variable_declarator name: (identifier) @name) @variable))
  (variable_declaration (variable_declarator name: (identifier) @name) @variable)
  (export_statement (variable_declaration (variable_declarator name: (identifier) @name) @variable))
])
