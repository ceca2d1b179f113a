(function_definition name: (word) @name) @function
(program [
  (variable_assignment name: (variable_name) @name) @variable
  (declaration_command (variable_assignment name: (variable_name) @name) @variable)
])

; After a mistake, or what the grammar takes for one, only the head of a function may be left.
(ERROR (word) @name @function . "(" . ")")
(ERROR "function" . (word) @name @function)
